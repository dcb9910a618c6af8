"""MIX: several authentication schemes at one operation, alone, together and against each other."""
