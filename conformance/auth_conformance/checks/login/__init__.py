"""CRD: passwords and the operations that take them."""
