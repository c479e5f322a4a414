-- What a tenant has stored is counted in the index `payload_size`, which is there since 0011: on
-- PostgreSQL it comes with this one.
SELECT 1;
