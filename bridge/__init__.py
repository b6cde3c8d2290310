"""smsbridge: old messaging clients in, modern HTTP messaging providers out, every report back.

The map of the package, top to bottom; a room imports only from lower rows (kept by import-linter)::

    cli                                  what a person types; thin
    app                                  the one place where objects are made and joined
    config                               YAML + secrets -> Config, or every problem at once
    listeners/{smpp,smtp,http}           the sides we serve: settings, translate, server
    intake | dispatch | reports          the three loops: in, out, back; they meet only in the store
    routing | store | transport | smarthost
    providers                            pure: one file a provider; the folder is the registry
    telemetry                            logs, metrics, health
    smpp | sms | message | values | throttle | document   pure: protocol, text on the air, words everyone shares
    errors | problems                    what can go wrong, and what to do next
"""

__version__ = "0.1.0"
