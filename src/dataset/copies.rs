//! Names of the fresh copies of a database: `TEMPLATE_dbdyno_LOCK_NUMBER`. LOCK is a lock on the server that the dbdyno that made the
//! copy holds as long as it lives: a copy whose lock is free was left by one that was killed.

/// What stands between the template's name and the lock.
const MARK: &str = "_dbdyno_";
/// The longest name that every server takes: `NAMEDATALEN` of PostgreSQL less one; MariaDB and MySQL take one more.
const NAME_BYTES_MAX: usize = 63;

/// How names of copies of a template begin.
pub(super) fn copy_opening(template: &str) -> String {
    // Behind it stand 16 digits of the lock, a point of division and the number.
    let room = NAME_BYTES_MAX - MARK.len() - 16 - 1 - 10;
    let end = (0..=room.min(template.len())).rev().find(|end| template.is_char_boundary(*end)).unwrap_or(0);
    format!("{}{MARK}", &template[..end])
}

pub(super) fn copy_name(template: &str, lock: u64, number: u32) -> String {
    format!("{}{lock:016x}_{number}", copy_opening(template))
}

/// The lock in the name of a copy; nothing for a name that is not exactly one.
pub(super) fn lock_of(name: &str, opening: &str) -> Option<u64> {
    let (lock, number) = name.strip_prefix(opening)?.split_once('_')?;
    let is_hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
    let is_number = !number.is_empty() && number.chars().all(|c| c.is_ascii_digit());
    if lock.len() != 16 || !lock.chars().all(is_hex) || !is_number {
        return None;
    }
    u64::from_str_radix(lock, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_copies_fit_and_tell_their_lock() {
        for template in
            ["shop", "a name with \"quotes\"", "ein_sehr_langer_Name_für_eine_Datenbank_mit_Umlauten_ü"]
        {
            let name = copy_name(template, 0xfe, 4_000_000_000);
            assert!(name.len() <= NAME_BYTES_MAX, "{name}");
            assert_eq!(lock_of(&name, &copy_opening(template)), Some(0xfe), "{name}");
        }
        assert_eq!(copy_name("shop", 0xfe, 3), "shop_dbdyno_00000000000000fe_3");
    }

    #[test]
    fn nothing_else_is_taken_for_a_copy() {
        let opening = copy_opening("shop");
        for name in [
            "shop",
            "shop_dbdyno_",
            "shop_dbdyno_2026",
            "shop_dbdyno_00000000000000fe",
            "shop_dbdyno_00000000000000fe_",
            "shop_dbdyno_00000000000000FE_1",
            "shop_dbdyno_00000000000000fe_1x",
            "shop2_dbdyno_00000000000000fe_1",
        ] {
            assert_eq!(lock_of(name, &opening), None, "{name}");
        }
    }
}
