//! `ottavo function deploy` and `remove`: to a folder that a gateway reads, or to a running gateway.

use std::path::PathBuf;

use clap::Args;
use reqwest::Url;

use super::inspect::Look;
use super::manifest::Project;
use super::{Outcome, admin, kubernetes, place, print, print_line, runtime};

pub const NOTES: &str = "\
What is deployed is the module as it was built last, and the manifest pinned to it by its digest.

Examples:
  ottavo function deploy --to /etc/ottavo/resources
  ottavo function deploy --admin http://localhost:3502
  ottavo function deploy --kubernetes --image registry.example.com/ottavo:1 | kubectl apply -f -";

#[derive(Debug, Args)]
pub struct Options {
    /// Folder of the function
    #[arg(value_name = "FOLDER", default_value = ".")]
    folder: PathBuf,
    /// Put it into a folder of resources, as NAME.yaml and NAME.wasm
    #[arg(long, value_name = "FOLDER", required_unless_present_any = ["admin", "kubernetes"])]
    to: Option<PathBuf>,
    /// Install it at a running gateway, or put it in the place of the one of its name, which serves until the new one
    /// can: http://localhost:3502, or unix:///run/ottavo/admin.sock
    #[arg(long, value_name = "URL")]
    admin: Option<Url>,
    /// Print what Kubernetes needs: a gateway with this function, as ConfigMap, Deployment and Service
    #[arg(long)]
    kubernetes: bool,
    /// The gateway's image
    #[arg(long, value_name = "REFERENCE", requires = "kubernetes", default_value = "ottavo")]
    image: String,
    /// Where the gateway fetches the module from, such as oci://registry.example.com/greeter:1 [default: the ConfigMap]
    #[arg(long, value_name = "URL", requires = "kubernetes")]
    module: Option<String>,
}

#[derive(Debug, Args)]
pub struct RemoveOptions {
    /// Name of the function
    #[arg(value_name = "NAME")]
    name: String,
    /// Folder of resources that it was deployed to
    #[arg(long, value_name = "FOLDER", required_unless_present = "admin")]
    from: Option<PathBuf>,
    /// Gateway that it was deployed to
    #[arg(long, value_name = "URL")]
    admin: Option<Url>,
}

pub fn run(options: &Options) -> Outcome {
    let project = Project::read(&options.folder)?;
    // What a gateway would refuse is refused here, with the same words.
    project.function()?;
    let look = Look::at(&project.module()?)?;
    look.check().map_err(|reason| project.failure(&reason))?;
    if options.kubernetes {
        print(&kubernetes::resources(&project, &look, &options.image, options.module.as_deref())?);
        return Ok(());
    }
    let file = format!("{}.wasm", project.name);
    if let Some(folder) = &options.to {
        place::put(folder, &project.name, &place::manifest(&project, &file, look.sha256())?, look.bytes())?;
        print_line(&format!("{} is in {}", project.name, folder.display()));
    }
    if let Some(address) = &options.admin {
        let status = runtime()?.block_on(admin::deploy(address, &project, look.bytes()))?;
        print_line(&format!("{} is at {address}: {status}", project.name));
    }
    Ok(())
}

pub fn remove(options: &RemoveOptions) -> Outcome {
    if let Some(folder) = &options.from {
        place::take(folder, &options.name)?;
        print_line(&format!("{} is gone from {}", options.name, folder.display()));
    }
    if let Some(address) = &options.admin {
        runtime()?.block_on(admin::remove(address, &options.name))?;
        print_line(&format!("{} is gone from {address}", options.name));
    }
    Ok(())
}
