"""Tells people what is wrong, and when it is over: the messages of NOTIFY_URLS. Knows no HTTP.

The way of a message through here:
1. `notify.troubles` says what is wrong; `memory` holds it against what a recipient was told.
2. `messages` words what is new, worse or over as one message.
3. `delivery` sends it with apprise, in a process of its own that has so long and no longer.

`notifier` puts that together for one of the `recipients`, one worker at a time.
"""
