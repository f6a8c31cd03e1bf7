//! What a person is told of building and dropping an index on a server at work. Pure.

/// What keeps a change of a table from standing in its way, where the server can make it so.
pub(super) const IN_PLACE: &str = ", ALGORITHM=INPLACE, LOCK=NONE";

/// What building or dropping it keeps others from. `in_place`: whether the server builds it beside reads and writes.
pub(super) fn blocks(table: &str, in_place: bool) -> String {
    if in_place {
        return format!(
            "with ALGORITHM=INPLACE and LOCK=NONE reads and writes of {table} go on, but for a moment at its begin and its end, when it holds \
             an exclusive metadata lock and waits for the transactions that use the table"
        );
    }
    format!(
        "the server cannot build this index beside writes to {table}: they wait for all of that time, and at its end reads do as well"
    )
}

/// What to mind in production.
pub(super) fn caveats(is_added: bool, hide: &str) -> Vec<String> {
    let both = "it waits for its metadata lock until every transaction that has used the table has ended, and whoever comes later waits \
                behind it: SET SESSION lock_wait_timeout = 5 first, and begin again where it gives up"
        .to_owned();
    if is_added {
        return vec![
            both,
            "writes that come meanwhile are kept aside, and where they are more than innodb_online_alter_log_max_size it fails at its \
             end: build it when there are few"
                .to_owned(),
        ];
    }
    vec![
        both,
        format!(
            "{hide}; takes it from the planner first, and can be taken back at once where something was slower without it"
        ),
    ]
}
