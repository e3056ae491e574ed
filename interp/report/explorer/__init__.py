"""The page on which a run is scrubbed through: one HTML file that stands by itself, from plain data alone."""
