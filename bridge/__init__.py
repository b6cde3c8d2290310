"""smsbridge: old messaging clients in, modern HTTP messaging providers out, every report back.

The map of the package, top to bottom; a room imports only from lower rows (kept by import-linter)::

    cli                                  what a person types; thin
    app                                  the one place where objects are made and joined
    config                               YAML + secrets -> Config, or every problem at once
    listeners/{smpp,smtp,http}           the sides we serve: settings, translate, server
    intake | dispatch | reports          the three loops: in, out, back; they meet only in the store
    routing | providers | store | transport | smarthost
    telemetry                            logs, metrics, health
    smpp | sms | message | values        pure: protocol, text on the air, the words everyone shares
    errors                               what can go wrong, and what to do next
"""

__version__ = "0.1.0"
