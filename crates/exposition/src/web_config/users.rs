//! `basic_auth_users`: who may ask, and whether a password is theirs.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};

use bcrypt::HashParts;
use ring::hmac::{self, HMAC_SHA256, Key};
use ring::rand::SystemRandom;
use tokio::sync::Semaphore;

use super::fault::Faults;
use super::yaml::Section;

/// bcrypt at 14 takes about a second; a hash beyond that would let a client take a core for as long as it likes.
const COST_MAX: u32 = 14;

/// Logins remembered. Only right ones are, so a user takes one place, and guessing cannot push anyone out.
const REMEMBERED_MAX: usize = 1024;

/// How many checks run at one time, over all connections: password checks must leave the other cores alone.
const CHECKS_AT_ONCE: usize = 1;

/// A user name and a password, as a client sent them.
pub(crate) struct Login {
    pub(crate) user: String,
    pub(crate) password: Vec<u8>,
}

/// The users of one configuration. A new configuration starts with nobody remembered.
pub(crate) struct Users {
    hashes: BTreeMap<String, String>,
    /// Keyed with `key`, so that the memory of a process shows no password's hash that could be guessed at faster than bcrypt's.
    remembered: Mutex<HashSet<[u8; 32]>>,
    key: Key,
    checks: Arc<Semaphore>,
}

impl Users {
    /// Whether this login was right before; takes no time.
    pub(crate) fn remembers(&self, login: &Login) -> bool {
        let fingerprint = self.fingerprint(login);
        self.remembered.lock().unwrap_or_else(PoisonError::into_inner).contains(&fingerprint)
    }

    /// Whether the password is the user's: tens of milliseconds on a thread for blocking work. An unknown user's password is checked
    /// against some known user's hash, always the same one for the same name, so that time does not tell who is known.
    pub(crate) async fn verify(self: Arc<Self>, login: Login) -> bool {
        let Ok(permit) = Arc::clone(&self.checks).acquire_owned().await else { return false };
        if self.remembers(&login) {
            // Another request with the same login was checked meanwhile.
            return true;
        }
        let users = Arc::clone(&self);
        let check = move || {
            // With the check and not with the request: a client that hangs up does not end a check that runs.
            let _permit = permit;
            users.check(&login)
        };
        let checked = tokio::task::spawn_blocking(check).await;
        checked.unwrap_or_else(|error| {
            tracing::error!(%error, "a password check failed");
            false
        })
    }

    fn check(&self, login: &Login) -> bool {
        let known = self.hashes.get(&login.user);
        let Some(hash) = known.or_else(|| self.stand_in(&login.user)) else { return false };
        // The hashes were parsed when they were read, so there is no error to tell.
        let matches = bcrypt::verify(&login.password, hash).unwrap_or(false);
        let right = matches && known.is_some();
        if right {
            self.remember(login);
        }
        right
    }

    fn stand_in(&self, user: &str) -> Option<&String> {
        let tag = hmac::sign(&self.key, user.as_bytes());
        let first = tag.as_ref().first().copied().map_or(0, usize::from);
        self.hashes.values().nth(first % self.hashes.len())
    }

    fn remember(&self, login: &Login) {
        let fingerprint = self.fingerprint(login);
        let mut remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        if remembered.len() >= REMEMBERED_MAX {
            // Not worth an order: it takes that many users, and costs each one more check.
            remembered.clear();
        }
        remembered.insert(fingerprint);
    }

    fn fingerprint(&self, login: &Login) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.key);
        // The length first, so that no two logins look alike.
        context.update(&(login.user.len() as u64).to_le_bytes());
        context.update(login.user.as_bytes());
        context.update(&login.password);
        let mut fingerprint = [0; 32];
        fingerprint.copy_from_slice(context.sign().as_ref());
        fingerprint
    }
}

impl fmt::Debug for Users {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Users").field("count", &self.hashes.len()).finish_non_exhaustive()
    }
}

/// No users at all means that nobody is asked.
pub(super) fn read(mut section: Section, faults: &mut Faults) -> Option<Arc<Users>> {
    let mut hashes = BTreeMap::new();
    for user in section.keys() {
        if user.contains(':') {
            faults.add(section.path_of(&user), "a user's name cannot hold a colon (RFC 7617)");
        }
        let hash = section.text(&user, faults).unwrap_or_default();
        match HashParts::from_str(&hash).map(|parts| parts.get_cost()) {
            Ok(4..=COST_MAX) => drop(hashes.insert(user, hash)),
            Ok(_) => faults.add(section.path_of(&user), format!("bcrypt's cost must be 4 to {COST_MAX}")),
            Err(_) => {
                faults.add(section.path_of(&user), "must be a bcrypt hash, as `htpasswd -nBC 10 \"\"` makes them")
            }
        }
    }
    if hashes.is_empty() {
        return None;
    }
    let Ok(key) = Key::generate(HMAC_SHA256, &SystemRandom::new()) else {
        faults.add("basic_auth_users", "the system gives no random numbers, without which no login can be remembered");
        return None;
    };
    Some(Arc::new(Users {
        hashes,
        remembered: Mutex::default(),
        key,
        checks: Arc::new(Semaphore::new(CHECKS_AT_ONCE)),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web_config::yaml;

    /// The lowest cost that bcrypt has.
    fn hash(password: &str) -> String {
        bcrypt::hash(password, 4).expect("hashed")
    }

    fn users() -> Arc<Users> {
        let text = format!("alice: {}\nbob: {}\n", hash("a"), hash("b"));
        let mut faults = Faults::new("web.yml".as_ref());
        read(yaml::parse(&text).expect("YAML"), &mut faults).expect("users")
    }

    fn login(user: &str, password: &str) -> Login {
        Login { user: user.to_owned(), password: password.into() }
    }

    #[test]
    fn a_password_is_right_for_its_user_only() {
        let users = users();
        assert!(users.check(&login("alice", "a")) && users.check(&login("bob", "b")));
        for (user, password) in [("alice", "b"), ("bob", "a"), ("alice", ""), ("carol", "a"), ("carol", "b"), ("", "")]
        {
            assert!(!users.check(&login(user, password)), "{user} {password}");
        }
    }

    #[test]
    fn only_right_logins_are_remembered() {
        let users = users();
        for (user, password) in [("alice", "a"), ("alice", "x"), ("carol", "a")] {
            users.check(&login(user, password));
        }
        assert!(users.remembers(&login("alice", "a")));
        assert!(!users.remembers(&login("alice", "x")) && !users.remembers(&login("carol", "a")));
        assert!(!users.remembers(&login("alicea", "")), "where the name ends counts");
    }

    #[test]
    fn an_unknown_user_always_meets_the_same_stand_in() {
        let users = users();
        let stand_ins: Vec<_> = (0..100).map(|number| users.stand_in(&format!("unknown {number}"))).collect();
        assert!(stand_ins.iter().all(Option::is_some));
        assert_eq!(stand_ins[7], users.stand_in("unknown 7"));
        assert!(stand_ins.iter().any(|stand_in| *stand_in != stand_ins[0]), "all known users take part");
    }
}
