"""The shape of requests and responses, one module per topic. No query and no rule is here.

`resources` is the base of the schemas of resources, `fields` are the strict fields of requests, `response_fields` those
of responses. Responses are written from rows directly (docs/decisions/0006-responses-are-written-from-rows.md has the
measurement); the tests validate each one against the OpenAPI document.
"""
