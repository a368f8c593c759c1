"""Redis's data types as Python objects: a hash, a list and a sorted set, each under one key (or, sharded, several).

Every method is one round trip, unless it says otherwise. Values and members are str, whatever the client was made
with. Given a pipeline as ``redis``, methods that write queue their commands there, and what they return says nothing.
"""
