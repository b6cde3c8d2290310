"""What `smsbridge bench` is made of.

`client` (load over SMPP) and `provider` (the simulated API, with `callbacks` back) run in the process of the command,
on one event loop: they share one core and one clock. What is measured, the daemon or the `floor`, is a `subject`: a
process of its own. `tally` keeps what happened to each message; a `stage` holds all of them together for one
`scenario`; `display` shows what was found.
"""
