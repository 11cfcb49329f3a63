"""Health from outside, pure: what there is to check, and what an answer means."""
