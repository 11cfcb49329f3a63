"""One release replaces another, node by node, and goes back by itself if it does not do."""
