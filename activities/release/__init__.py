"""The activities of releases: what they read and change on nodes, at the load balancer and in the database."""
