"""Temporal's real UI: is it enough to run this?"""
