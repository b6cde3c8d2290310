"""SMPP 3.3, 3.4 and 5.0, standing alone: it imports nothing else of this package, and does no IO.

::

    enums      the numbers by name
    wire       header, C-octet strings, TLVs, and what can be wrong with them
    fields     kinds of mandatory fields, and the named ones
    pdus       every PDU as a type: the one table of fields
    codec      decode, encode, and a framer for streams, made from that table
    states     the state machine as a table, with its theory
    events     what a session tells its caller
    session    the server's side of a connection: octets and time in, events and octets out
    receipts   the text and the TLVs of delivery receipts
    times      validity_period and schedule_delivery_time
"""
