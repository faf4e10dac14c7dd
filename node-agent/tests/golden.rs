//! Kubernetes objects in, maps out: every folder `tests/golden/services-*`.
//!
//! `NODEPLANE_UPDATE_GOLDEN=1` writes what came out in the place of what was expected; read the
//! difference before you commit it.

mod cases;

use nodeplane_node_agent::{dataplane::fake::FakeDataplane, model::Services, services::ServicePlane};

#[test]
fn objects_give_the_maps_that_are_written_down() {
    for case in cases::all() {
        let fake = FakeDataplane::default();
        ServicePlane::new(fake.clone()).sync(&case.services).expect("sync");
        case.check(&outcome(&fake, &case.services));
    }
}

fn outcome(fake: &FakeDataplane, services: &Services) -> String {
    cases::outcome(&fake.state().image, services)
}
