"""Files become upright RGB pixels; network grids become image coordinates."""
