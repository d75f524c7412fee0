"""The production server: granian, with a bounded request queue between it and the application.

serving            `serve`: the options of granian, and the start of the server
supervisor         the parent process: starts workers, and replaces those that stop responding
worker             a worker process: its signals, its heartbeat, and its end without a parent
receiving          takes requests from granian, reads their bodies, and queues or refuses them
request_queue      the queue, and the threads that run the application
load_shedding      refuses requests with 503 at a limited rate
application        runs the WSGI application for one request, and sends its response
large_responses    sends large responses at the speed of the client
spooled_responses  sends bodies that were written to a file: exports
slow_clients       ends connections that make no progress
granian_internals  the private parts of granian that are used, and their check at the start

Nothing here knows the API: its composition root, `app.create_worker_application`, passes in the application, the paths
of the health checks, and the functions that make a problem response and log an exception.
"""
