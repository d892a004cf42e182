//! What there is to be found, and who finds it.

mod aws;
mod azure;
mod docker;
mod ecs;
mod env;
mod gcp;
mod heroku;
mod kubernetes;
mod system;

use regex::Regex;

use super::found::{Found, Known};
use super::world::World;
pub(super) use system::HostnameSource;

/// Finds attributes of the surroundings.
#[derive(Clone, Debug)]
pub(super) enum Detector {
    Env(Option<Vec<String>>),
    System(Vec<HostnameSource>),
    Docker,
    Ec2(Vec<Regex>),
    Ecs,
    Eks,
    ElasticBeanstalk,
    Lambda,
    Gcp,
    Azure(Vec<Regex>),
    Aks,
    KubernetesApi {
        /// The variable that holds the node's name.
        variable: String,
        /// Whether it speaks as the pod's service account.
        account: bool,
    },
    Heroku,
}

impl Detector {
    /// The attributes that it knows; `env` sets whatever it is told.
    pub(super) const fn known(&self) -> &'static [Known] {
        match self {
            Self::Env(_) => &[],
            Self::System(_) => system::ATTRIBUTES,
            Self::Docker => docker::ATTRIBUTES,
            Self::Ec2(_) => aws::EC2,
            Self::Ecs => ecs::ATTRIBUTES,
            Self::Eks => aws::EKS,
            Self::ElasticBeanstalk => aws::ELASTIC_BEANSTALK,
            Self::Lambda => aws::LAMBDA,
            Self::Gcp => gcp::ATTRIBUTES,
            Self::Azure(_) => azure::AZURE,
            Self::Aks => azure::AKS,
            Self::KubernetesApi { .. } => kubernetes::ATTRIBUTES,
            Self::Heroku => heroku::ATTRIBUTES,
        }
    }

    /// Looks once. `must` tells that not to be in the place that it knows is a fault.
    pub(super) async fn detect(
        &self,
        world: &World,
        must: bool,
        found: &mut Found<'_>,
    ) -> Result<(), String> {
        let there = match self {
            Self::Env(only) => {
                env::detect(world, only.as_deref(), found)?;
                true
            }
            Self::System(sources) => {
                system::detect(world, sources, found).await?;
                true
            }
            Self::Docker => return lenient(docker::detect(world, found).await, must, found),
            Self::Ec2(tags) => aws::ec2(world, tags, found).await?,
            Self::Ecs => ecs::detect(world, found).await?,
            Self::Eks => match aws::eks(world, found).await {
                Ok(there) => there,
                Err(fault) => return lenient(Err(fault), must, found),
            },
            Self::ElasticBeanstalk => aws::elastic_beanstalk(world, found)?,
            Self::Lambda => aws::lambda(world, found),
            Self::Gcp => gcp::detect(world, found).await?,
            Self::Azure(tags) => azure::azure(world, tags, found).await,
            Self::Aks => azure::aks(world, found).await,
            Self::KubernetesApi { variable, account } => {
                let told = kubernetes::detect(world, variable, *account, found).await?;
                return lenient(told.map_err(|mute| mute.to_string()), must, found);
            }
            Self::Heroku => heroku::detect(world, found),
        };
        match there || !must {
            true => Ok(()),
            false => Err("the metadata that it reads are not there".to_owned()),
        }
    }
}

/// Lets a fault pass where nothing must be found, with nothing found.
fn lenient(result: Result<(), String>, must: bool, found: &mut Found<'_>) -> Result<(), String> {
    match result {
        Err(fault) if !must => {
            tracing::warn!(error = fault, "a resource detector finds nothing");
            found.attributes.clear();
            Ok(())
        }
        result => result,
    }
}
