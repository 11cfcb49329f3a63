"""Health from outside: what asks, as users do. What an answer means, `blueprint.health` says."""
