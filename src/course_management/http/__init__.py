"""The HTTP toolkit: what every route shares, and nothing that belongs to one resource.

endpoints    declare a route: access, input, responses, problems
parsing      read requests strictly: limits, JSON, queries, bodies, preconditions
responses    write JSON, entity tags, conditional responses
pagination   pages of lists and their cursors
problems     every error as `application/problem+json`
headers      security headers, and CORS
assets       texts that do not change while the process runs
openapi      the OpenAPI document, made from the declarations
hooks        what runs before and after each request
pages        pages of the API documentation, with a content security policy
declarations, schema_components, validation_errors   parts of `endpoints`, `openapi` and `parsing`
"""
