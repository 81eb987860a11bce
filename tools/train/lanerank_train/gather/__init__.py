"""Gathers the (query, passage) pairs that the default model is trained on, from their origins.

    python -m lanerank_train.gather OUT [--only NAME ...] [--repositories FOLDER]

`table` says where each source comes from, `origins` brings the files and checks their licence, and
one function a source turns files into rows.
"""
