"""The tests: folders of the same names as in the package, and what spans it.

conftest, fixture_types          fixtures of all tests: `app`, `client`, `make_app`, `database`, and their types
databases, real_server           databases of both kinds; the service as a process
contract, spies, refusals, keys  a client that checks every response against the OpenAPI document; statements that
                                 are sent; problems as they must be; API keys
test_api, test_course,           read these first: the stories of enrollment, courses and the models
test_models
api/ … transfer/                 one folder for each folder of the package
races/                           many requests at the same time, with their controls
support/                         what tests of several folders share: requests, files, processes, removed guards
oracle/                          the rules written a second time, compared on generated schools
docs/                            every command of the documentation, run in the order of its page
proof/, fuzz/, clients/          `make proof`, `make fuzz`, `make clients`
slow/                            `make test-slow`: what takes minutes, processes or new environments
"""
