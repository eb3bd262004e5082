"""A recording relay: an app is pointed here, its octets go on to one server unaltered, and its dialogue is shown.

    app --side--> session --side--> server        side      one connection: octets, TLS, flow control
                     |                            session   joins the two, octet for octet
                   watch --> Attempt, dialogue    watch     reads along; smtp, imap, pop know the words
                                                  serve, prelude   who may come; the relay's own words

It watches and is no gateway: what app and server say to each other is never altered, added to or held back
(CONTRIBUTING.md, "What the relay does itself"). Passwords pass through and are kept nowhere.
"""

from .serve import Relay, Seen, Settings

__all__ = ["Relay", "Seen", "Settings"]
