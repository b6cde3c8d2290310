"""Text on the air: alphabets, data codings, user data headers, long messages cut and joined.

Pure, and imports nothing of ours: `tables` and `gsm7` hold the GSM 7-bit alphabets, `encoding` every alphabet by name,
`segments` cuts a text and reads headers, `join` puts parts together.
"""
