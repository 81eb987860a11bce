"""Trains lanerank's default model; see README.md."""
