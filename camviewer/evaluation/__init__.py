"""How good a map or a mask is: against true regions, without them, and beside controls."""
