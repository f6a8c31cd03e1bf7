//! What another program is told of a target: `DATABASE_URL` and libpq's own variables, so that a team's tool reaches the same server,
//! user and database.

use std::process::Command;

use super::settings::{Place, Settings, encode};
use super::tls::SslMode;
use crate::db::secret::Secret;

impl Settings {
    /// Gives a program that is to be started `DATABASE_URL`, `PGHOST`, `PGPORT`, `PGUSER`, `PGDATABASE`, `PGSSLMODE` and, where there is
    /// one, `PGPASSWORD`. What the environment says of other servers is taken from it.
    pub fn lead(&self, command: &mut Command) {
        for variable in ["PGSERVICE", "PGHOSTADDR", "PGPASSWORD", "PGOPTIONS", "PGTARGETSESSIONATTRS"] {
            command.env_remove(variable);
        }
        for (variable, value) in self.variables() {
            command.env(variable, value.reveal());
        }
    }

    fn variables(&self) -> Vec<(&'static str, Secret)> {
        let places = |of: &dyn Fn(&Place, u16) -> String| -> String {
            let all: Vec<String> = self.hosts.iter().map(|host| of(&host.place, host.port)).collect();
            all.join(",")
        };
        let host = places(&|place, _| match place {
            Place::Socket(folder) => folder.to_string_lossy().into_owned(),
            Place::Tcp { name, .. } => name.clone(),
        });
        let mode = SslMode::NAMES.iter().find(|(_, mode)| *mode == self.tls.mode).map(|(name, _)| *name);
        let mut variables = vec![
            ("PGHOST", Secret::new(host)),
            ("PGPORT", Secret::new(places(&|_, port| port.to_string()))),
            ("PGUSER", Secret::new(self.user.clone())),
            ("PGDATABASE", Secret::new(self.database.clone())),
            ("DATABASE_URL", self.url_with_password(mode)),
        ];
        variables.extend(mode.map(|mode| ("PGSSLMODE", Secret::new(mode))));
        variables.extend(self.first_password().map(|password| ("PGPASSWORD", password.clone())));
        variables
    }

    fn first_password(&self) -> Option<&Secret> {
        self.hosts.first().and_then(|host| self.password_for(host))
    }

    /// In the form that most libraries read: a socket's folder stands behind the question mark. They know one host.
    fn url_with_password(&self, mode: Option<&str>) -> Secret {
        let password = self
            .first_password()
            .map_or_else(String::new, |password| format!(":{}", encode(password.reveal())));
        let (user, database) = (encode(&self.user), encode(&self.database));
        let mut parameters = Vec::new();
        let place = match self.hosts.first().map(|host| (&host.place, host)) {
            Some((Place::Socket(folder), host)) => {
                parameters.push(format!("host={}", encode(&folder.to_string_lossy())));
                parameters.push(format!("port={}", host.port));
                String::new()
            }
            Some((Place::Tcp { .. }, host)) => host.to_string(),
            None => String::new(),
        };
        parameters.extend(mode.filter(|mode| *mode != "prefer").map(|mode| format!("sslmode={mode}")));
        let behind = if parameters.is_empty() { String::new() } else { format!("?{}", parameters.join("&")) };
        Secret::new(format!("postgres://{user}{password}@{place}/{database}{behind}"))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Environment;
    use super::*;

    fn told(url: &str) -> Vec<(&'static str, String)> {
        let settings = Settings::from_url_in(url, &Environment::empty()).expect("settings");
        let variables = settings.variables();
        variables.into_iter().map(|(name, value)| (name, value.reveal().to_owned())).collect()
    }

    fn value(told: &[(&'static str, String)], name: &str) -> Option<String> {
        told.iter().find(|(of, _)| *of == name).map(|(_, value)| value.clone())
    }

    #[test]
    fn another_program_reaches_the_same_database() {
        let tcp = told("postgres://me:p%40ss@db.example:6000/shop%20x?sslmode=require");
        assert_eq!(value(&tcp, "PGHOST").as_deref(), Some("db.example"));
        assert_eq!(value(&tcp, "PGPORT").as_deref(), Some("6000"));
        assert_eq!(value(&tcp, "PGPASSWORD").as_deref(), Some("p@ss"));
        assert_eq!(value(&tcp, "PGDATABASE").as_deref(), Some("shop x"));
        let url = value(&tcp, "DATABASE_URL").expect("a URL");
        // Read back, it says the same.
        let again = told(&url);
        for name in ["PGHOST", "PGPORT", "PGUSER", "PGPASSWORD", "PGDATABASE", "PGSSLMODE"] {
            assert_eq!(value(&again, name), value(&tcp, name), "{name} of {url}");
        }
        let socket = told("postgres://me@/shop?host=/tmp/s&port=6001");
        assert_eq!(value(&socket, "PGHOST").as_deref(), Some("/tmp/s"));
        assert_eq!(value(&socket, "PGPASSWORD"), None);
        let again = told(&value(&socket, "DATABASE_URL").expect("a URL"));
        assert_eq!(value(&again, "PGHOST"), value(&socket, "PGHOST"));
    }
}
