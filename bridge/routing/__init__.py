"""Routing: which providers a message goes to, which account an inbound message belongs to, and what a number is.

Pure. `rules` holds the settings and their compiled form, `numbers` turns what people write into E.164 digits.
"""
