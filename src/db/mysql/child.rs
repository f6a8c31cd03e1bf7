//! What another program is told of a target: `DATABASE_URL` and the variables that this family's tools read, so that a team's tool
//! reaches the same server, user and database.

use std::process::Command;

use super::settings::Settings;
use super::tls::SslMode;
use crate::db::percent::encode;
use crate::db::secret::Secret;

impl Settings {
    /// Gives a program that is to be started `DATABASE_URL`, `MYSQL_HOST`, `MYSQL_TCP_PORT` and, where there is one, `MYSQL_PWD`.
    /// What the environment says of other servers is taken from it.
    pub fn lead(&self, command: &mut Command) {
        command.env_remove("MYSQL_PWD").env_remove("MYSQL_UNIX_PORT");
        for (variable, value) in self.variables() {
            command.env(variable, value.reveal());
        }
    }

    fn variables(&self) -> Vec<(&'static str, Secret)> {
        let mut variables = vec![
            ("MYSQL_HOST", Secret::new(self.host.as_str())),
            ("MYSQL_TCP_PORT", Secret::new(self.port.to_string())),
            ("DATABASE_URL", self.url_with_password()),
        ];
        variables.extend(self.password.iter().map(|password| ("MYSQL_PWD", password.clone())));
        variables
    }

    /// In the form that most libraries read.
    fn url_with_password(&self) -> Secret {
        let password = self.password.as_ref();
        let password =
            password.map_or_else(String::new, |password| format!(":{}", encode(password.reveal())));
        let mut parameters = Vec::new();
        if self.tls.mode != SslMode::Preferred {
            parameters.push(format!("ssl-mode={}", self.tls.mode.name()));
        }
        if let Some(authority) = &self.tls.authority {
            parameters.push(format!("ssl-ca={}", encode(&authority.to_string_lossy())));
        }
        let behind = if parameters.is_empty() { String::new() } else { format!("?{}", parameters.join("&")) };
        let (user, database) = (encode(&self.user), encode(&self.database));
        Secret::new(format!("mysql://{user}{password}@{}/{database}{behind}", self.label()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Environment;
    use super::*;

    fn told(url: &str) -> Vec<(&'static str, String)> {
        let settings = Settings::from_url_in(url, &Environment::empty()).expect("settings");
        settings.variables().into_iter().map(|(name, value)| (name, value.reveal().to_owned())).collect()
    }

    #[test]
    fn another_program_reaches_the_same_database() {
        let first = told("mysql://me:p%40ss@db.example:3307/shop%20x?ssl-mode=verify-ca&ssl-ca=/a%20b.pem");
        let value = |name: &str| first.iter().find(|(of, _)| *of == name).map(|(_, value)| value.as_str());
        assert_eq!(value("MYSQL_HOST"), Some("db.example"));
        assert_eq!(value("MYSQL_TCP_PORT"), Some("3307"));
        assert_eq!(value("MYSQL_PWD"), Some("p@ss"));
        let url = value("DATABASE_URL").expect("a URL");
        assert!(url.starts_with("mysql://me:p%40ss@db.example:3307/shop%20x?"), "{url}");
        // Read back, it says the same.
        assert_eq!(told(url), first);
        assert!(told("mysql://me@h/d").iter().all(|(name, _)| *name != "MYSQL_PWD"));
    }
}
