"""Authentication and authorization: who the caller is, and what the caller may do.

A hook (`app.py`) authenticates each request before its view runs.

authentication  establish the caller of a request; protected mode, while no authentication is configured
policy          access rows: which caller may use a route
callers         services and persons
keys            API keys of services
key_management  create, change and revoke keys
key_use         when keys were last used
tokens          access tokens of people, issued by an OpenID Connect issuer
issuer_keys     the public keys that tokens are verified with
fetching        fetch one document over HTTP, with a deadline
people          the people and accounts behind tokens and sessions
sessions        sessions of the pages, and links to sign in once
visitors        authentication of pages: sessions, and forms of other sites
sign_in         sign in to the pages at the issuer: OpenID Connect
rate_limits     how many requests a caller may send
"""
