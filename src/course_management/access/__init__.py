"""Who calls, and what they may: keys of services, tokens of people, and one table of who may do what.

`api/gate.py` asks these before every view.

policy          the table of who may do what
protected_mode  who is served while nothing is configured
keys            the keys of services
key_use         when keys were last used
tokens          the tokens of people, by an OpenID Connect issuer
issuer_keys     the public keys that tokens are checked with
fetching        one document over HTTP, with a deadline
people          whom a token's subject stands for here
tables          where all of that is kept
"""
