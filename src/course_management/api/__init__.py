"""The door: HTTP is spoken here and nowhere else. One blueprint a subject.

A view loads its input once, calls one service (to change something) or one repository (to look), and dumps the
answer once. What every blueprint shares stands beside them: `blueprint` (how an endpoint is declared), `requests`
(what is accepted), `replies` (what is answered), `errors`.
"""
