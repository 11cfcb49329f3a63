"""Tests of what backs buckets up and brings them back."""
