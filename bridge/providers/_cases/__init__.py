"""Cases of a provider, in the form of `tests/providers/NAME.yaml`: run by the tests, and by `smsbridge provider check`.

==============  ============================================================================
making          cases made into messages, answers and callbacks, and compared
promises        what every provider has to keep to
promises_verbs  the same for what not every API has: inbox, balance, price, setup, login
==============  ============================================================================
"""
