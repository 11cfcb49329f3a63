"""The way into nodes: SSH through the bastion of the public gateway, to machines known by their host keys."""
