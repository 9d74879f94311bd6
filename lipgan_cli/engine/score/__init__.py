"""Scoring: pictures and videos against real ones, a video's lip-sync, models on a dataset."""
