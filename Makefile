# What a person or a machine does with this project. Each goal starts from a clean clone.

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-versions bench soak

help: ## what there is
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 16

setup: ## install what is missing: PostgreSQL's server binaries, a C compiler
	@scripts/setup.sh

demo: setup ## a throwaway PostgreSQL, the shop workload, a short pool study, a report
	cargo build --release
	target/release/dbdyno demo

test: ## formatting, lints, all tests, and the ten slowest of them
	@scripts/setup.sh tests
	cargo fmt --check
	scripts/test.sh

test-versions: setup ## the tests that read the server's views, on PostgreSQL 14 to 18 (fetched by npm); those of poolers, on a PgBouncer that keeps prepared statements; those of MariaDB, on the MySQL of Debian's sid (9.7 when this was written) and MariaDB 11.8 (fetched by apt)
	scripts/test-versions.sh

bench: ## how fast the history, the page of a day, the live view and a capture are; precision of arrivals; beside pgbench, sysbench, psql; what the probes cost
	@scripts/setup.sh bench
	cargo bench --bench history
	cargo bench --bench page
	cargo bench --bench live
	cargo bench --bench precision
	cargo bench --bench pgbench
	cargo bench --bench load
	cargo bench --bench sysbench
	cargo bench --bench probes
	cargo bench --bench capture

soak: ## two minutes of chaos on each engine: the books must be true; half an hour at a constant rate (SOAK_MINUTES): memory must not grow; whether verdicts are true (VERDICTS_SAME, VERDICTS_SLOWER), those on indexes (INDEX_SCALE) and migrations (MIGRATIONS) too; whether pool studies of a known queue are right (QUEUE_STUDIES)
	@scripts/setup.sh soak
	cargo bench --bench soak
	cargo bench --bench verdicts
	cargo bench --bench index
	cargo bench --bench migration
	cargo bench --bench queue
