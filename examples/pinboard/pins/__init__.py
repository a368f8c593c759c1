"""The app. Read it in this order:

- :mod:`pins.verbs`, :mod:`pins.activities`: what can happen, and how a row becomes an activity
- :mod:`pins.backends`, :mod:`pins.feeds`: the four feeds that everybody has
- :mod:`pins.managers`: who gets what
- :mod:`pins.actions`: what people do, each a row and an activity
- :mod:`pins.views`, :mod:`pins.pages`: how feeds are read, and the objects of a page looked up
"""
