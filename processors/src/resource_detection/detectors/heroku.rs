//! `heroku`: the variables that a dyno has.

use super::super::found::{Found, Known};
use super::super::world::World;

pub(super) const ATTRIBUTES: &[Known] = &[
    ("cloud.provider", true),
    ("heroku.app.id", true),
    ("heroku.dyno.id", true),
    ("heroku.release.commit", true),
    ("heroku.release.creation_timestamp", true),
    ("service.instance.id", true),
    ("service.name", true),
    ("service.version", true),
];

pub(super) fn detect(world: &World, found: &mut Found<'_>) -> bool {
    let (dyno, app) = (
        world.variable("HEROKU_DYNO_ID"),
        world.variable("HEROKU_APP_ID"),
    );
    if dyno.is_none() && app.is_none() {
        return false;
    }
    found.set("cloud.provider", "heroku");
    found.set_some("heroku.dyno.id", dyno.clone());
    found.set_some("service.instance.id", dyno);
    found.set_some("heroku.app.id", app);
    for (name, variable) in [
        ("service.name", "HEROKU_APP_NAME"),
        (
            "heroku.release.creation_timestamp",
            "HEROKU_RELEASE_CREATED_AT",
        ),
        ("service.version", "HEROKU_RELEASE_VERSION"),
        ("heroku.release.commit", "HEROKU_SLUG_COMMIT"),
    ] {
        found.set_some(name, world.variable(variable));
    }
    true
}
