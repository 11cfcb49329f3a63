"""Releases, pure: what is on the nodes, what a deploy does about it, and how it goes back."""
