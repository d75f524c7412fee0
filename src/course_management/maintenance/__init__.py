"""Work on a whole database, and on the settings with which the service uses it.

verify, verify_notes          whether the data is consistent, and what it notes about rules
verification_runs             verifying in the background, with its results stored
ledger_seal                   a seal of the ledger, to be compared later
archives, copying             backups, restores, copies, and the data of one student
trigger_state, counters       missing triggers and wrong counters: found and repaired
checks                        what is unsafe in the settings, and whether the service is ready
demo                          a school to try
"""
