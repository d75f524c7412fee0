"""`make failover`: the service on a PostgreSQL cluster under Patroni, while machines, servers and standbys are lost."""
