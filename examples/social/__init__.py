"""A small social network on Stream Framework; ``examples/newsfeed.py`` replays one.

Read it in this order:

- :mod:`social.feeds`: the feeds that people have, and the manager that fills them
- :mod:`social.on_memory`, :mod:`social.on_redis`, :mod:`social.on_cassandra`: the same on each backend
- :mod:`social.network`: where the people, and what they do, come from
- :mod:`social.check`: what the feeds should hold, worked out the slow way
"""
