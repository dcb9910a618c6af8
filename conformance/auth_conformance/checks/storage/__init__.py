"""STO: what is stored. A reader of the database must not be able to use what stands there."""
