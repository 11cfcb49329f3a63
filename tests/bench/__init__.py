"""Short forms of the measurements, and proof that they can fail."""
