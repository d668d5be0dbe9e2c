// Links out of the page: records of nodes, and searches for a pair. Nothing is loaded until a person follows one.

const CURIE = /^[A-Za-z][\w.-]*:[^\s:]\S*$/;
const DRUGBANK = /^DB\d{5}$/;

// Where a node's id leads: the Bioregistry resolves CURIEs of many registries. Null for other ids.
function recordOf(id) {
  const curie = DRUGBANK.test(id) ? `drugbank:${id}` : CURIE.test(id) ? id : null;
  return curie && `https://bioregistry.io/${encodeURIComponent(curie).replace("%3A", ":")}`;
}

function outward(address, ...content) {
  return make("a", { href: address, target: "_blank", rel: "noopener noreferrer" }, ...content);
}

// Where a publication leads: a PubMed id may stand alone, and a DOI too. Null for other texts.
function publicationOf(id) {
  if (/^\d{1,9}$/.test(id)) return `https://pubmed.ncbi.nlm.nih.gov/${id}`;
  if (/^10\.\d{4,9}\/\S+$/.test(id)) return `https://doi.org/${encodeURIComponent(id).replace("%2F", "/")}`;
  return /^https?:\/\/\S+$/.test(id) ? id : recordOf(id);
}

function linkedPublication(id) {
  const address = publicationOf(id);
  return address ? outward(address, named(id)) : named(id);
}

// An id, as a link to its record if there is one.
function linkedId(id) {
  const address = recordOf(id);
  return address ? outward(address, named(id)) : named(id);
}

// Searches for a drug and a disease by their names.
function lookUps(drug, disease) {
  const query = (values) => new URLSearchParams(values).toString();
  return make("p", { class: "look-up" }, "Look it up: ",
    outward(`https://pubmed.ncbi.nlm.nih.gov/?${query({ term: `"${drug.name}" AND "${disease.name}"` })}`, "PubMed"), ", ",
    outward(`https://clinicaltrials.gov/search?${query({ cond: disease.name, intr: drug.name })}`, "ClinicalTrials.gov"),
    "; records: ", linkedId(drug.id), ", ", linkedId(disease.id), ".");
}
