"""Work on a whole database: backups, restores, copies, triggers and counters, and the data of one student."""
