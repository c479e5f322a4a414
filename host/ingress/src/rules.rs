//! What authoring asks about webhook verification.

use tombolo_core::ports::authoring::WebhookRules;
use tombolo_core::workflow::VerifyScheme;

use crate::verify::{check_scheme, presets};

/// The presets and rules of this crate, for the check of workflow files.
#[derive(Debug, Clone, Copy)]
pub struct Rules;

impl WebhookRules for Rules {
    fn presets(&self) -> Vec<&'static str> {
        presets().map(|(name, _)| name).collect()
    }

    fn check_scheme(&self, scheme: &VerifyScheme) -> Result<(), (String, String)> {
        check_scheme(scheme).map_err(|problem| (problem.pointer, problem.message))
    }
}
