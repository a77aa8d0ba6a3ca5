"""The names in a sample: tools, file types, parameters."""

from __future__ import annotations

from enum import Enum

# Separated by commas, as some names contain spaces.
PLAIN_TOOLS = """
upload1, Cut1, Filter1, sort1, Grep1, Grouping1, cat1, join1, Show beginning1, Paste1, Convert characters1,
Add_a_column1, Remove beginning1, __EXTRACT_DATASET__, Show tail1, Summary_Statistics1, comp1, wc_gnu,
random_lines1, ChangeCase, Count1, addValue, createInterval, trimmer, mergeCols1, sed_stream_editor,
Extract_features1, Interval_Maf_Merged_Fasta2, gff2bed1, bed2gff1, lped2fpedconvert, MAF_To_Fasta1,
Condense characters1, qual_stats_boxplot, secure_hash_message_digest, liftOver1, ucsc_table_direct1,
ebi_sra_main, Extract genomic DNA 1, gene2exon1, barchart_gnuplot, histogram_rpy, scatterplot_rpy,
__FLATTEN__, __ZIP_COLLECTION__, __UNZIP_COLLECTION__, __FILTER_FAILED_DATASETS__, __MERGE_COLLECTION__,
__SET_METADATA__, __EXPORT_HISTORY__, __IMPORT_HISTORY__, __DATA_FETCH__,
interactive_tool_jupyter_notebook, data_manager: fetch genome, lab.training.render_report,
lab.training.count_reads
"""


# Repositories of the Tool Shed and their tools; one without a list holds a tool of the same name.
SHED_REPOSITORIES = """
devteam/fastqc
iuc/multiqc
devteam/bowtie2
iuc/hisat2
lparsons/cutadapt
devteam/bwa: bwa bwa_mem
iuc/bwa_mem2
devteam/samtools_sort
iuc/featurecounts
iuc/rgrnastar: rna_star rna_starsolo
bgruening/text_processing: tp_awk_tool tp_cat tp_cut_tool tp_easyjoin_tool tp_find_and_replace tp_sed_tool
    tp_grep_tool tp_head_tool tp_replace_in_line tp_sort_header_tool tp_sorted_uniq tp_tac
pjbriggs/trimmomatic
iuc/fastp
iuc/deseq2
devteam/samtools_flagstat
iuc/samtools_view
iuc/bedtools: bedtools_intersectbed bedtools_bamtobed bedtools_coveragebed bedtools_closestbed
    bedtools_mergebed bedtools_sortbed bedtools_getfastabed bedtools_genomecoveragebed bedtools_subtractbed
    bedtools_slopbed
devteam/picard: picard_MarkDuplicates picard_CollectInsertSizeMetrics picard_SortSam picard_MergeSamFiles
    picard_AddOrReplaceReadGroups picard_FastqToSam picard_SamToFastq picard_ValidateSamFile
iuc/kraken2
iuc/bracken: est_abundance
nml/spades: spades metaspades rnaspades
iuc/unicycler
iuc/quast
iuc/busco
crs4/prokka
iuc/shovill
iuc/snippy
devteam/freebayes
iuc/snpeff: snpEff snpEff_download snpEff_build_gb
iuc/snpsift: snpSift_filter snpSift_extractFields snpSift_annotate
iuc/bcftools: bcftools_call bcftools_filter bcftools_norm bcftools_view bcftools_consensus bcftools_mpileup
iuc/minimap2
iuc/flye: flye
bgruening/canu
bgruening/deeptools: deeptools_bam_coverage deeptools_bam_compare deeptools_compute_matrix
    deeptools_plot_heatmap deeptools_multi_bam_summary deeptools_plot_correlation deeptools_plot_fingerprint
iuc/macs2: macs2_callpeak macs2_bdgdiff macs2_filterdup macs2_predictd
iuc/stringtie: stringtie stringtie_merge
iuc/salmon: salmon alevin
iuc/kallisto: kallisto_quant kallisto_pseudo
iuc/htseq_count
iuc/gffcompare
iuc/gffread
devteam/ncbi_blast_plus: ncbi_blastn_wrapper ncbi_blastp_wrapper ncbi_blastx_wrapper ncbi_makeblastdb
bgruening/diamond: diamond diamond_makedb
iuc/seqtk: seqtk_sample seqtk_seq seqtk_subseq seqtk_trimfq
iuc/seqkit: seqkit_stats seqkit_fx2tab seqkit_grep
iuc/mothur: mothur_align_seqs mothur_classify_seqs mothur_cluster_split mothur_make_contigs mothur_screen_seqs
    mothur_summary_seqs mothur_unique_seqs mothur_filter_seqs mothur_chimera_vsearch mothur_count_groups
iuc/scanpy: scanpy_filter scanpy_normalize scanpy_cluster_reduce_dimension scanpy_plot scanpy_inspect
iuc/anndata: anndata_import anndata_inspect anndata_manipulate
iuc/hyphy: hyphy_absrel hyphy_busted hyphy_gard hyphy_meme
iuc/iqtree
iuc/raxml
rnateam/mafft
galaxyp/openms_peakpickerhires: PeakPickerHiRes
galaxyp/openms_featurefinder: FeatureFinderCentroided
galaxyp/maxquant
galaxyp/msconvert
galaxyp/peptideshaker: peptide_shaker search_gui
ecology/species_distribution: sdm_maxent
climate/cdo: cdo_operations cdo_info
imgteam/2d_auto_threshold: ip_threshold
imgteam/unet
bgruening/rdkit_descriptors
bgruening/autodock_vina: docking prepare_ligand
chemteam/gmx: gmx_sim gmx_em gmx_solvate
iuc/ivar: ivar_trim ivar_variants ivar_consensus
iuc/pangolin
iuc/nextclade
iuc/medaka: medaka_consensus_pipeline medaka_variant
iuc/nanoplot
iuc/porechop
iuc/filtlong
iuc/racon
iuc/pilon
iuc/abricate: abricate abricate_list
iuc/amrfinderplus
iuc/metaphlan
iuc/humann: humann humann_join_tables
iuc/lofreq: lofreq_call lofreq_indelqual
iuc/varscan: varscan_somatic varscan_mpileup
iuc/gatk4: gatk4_mutect2
iuc/bismark: bismark_bowtie2 bismark_deduplicate
iuc/hicexplorer: hicexplorer_hicbuildmatrix hicexplorer_hicplotmatrix
iuc/goseq
iuc/limma_voom
iuc/edger
iuc/volcanoplot
iuc/jbrowse
iuc/circos
iuc/umi_tools: umi_tools_extract umi_tools_dedup
"""


CONVERTED_TYPES = (
    "bam", "bed", "bedgraph", "fasta", "fastqsanger", "gff3",
    "interval", "mol2", "sam", "tabular", "vcf", "wig",
)  # fmt: skip


EXTENSIONS = (
    "fastqsanger.gz", "tabular", "txt", "bam", "vcf", "fasta", "bed", "html",
    "gff3", "interval", "fastqsanger", "h5ad", "data", "bigwig", "mzml", "png",
)  # fmt: skip


NUMBER = 4_242_424_242
"""Marks the place in a parameter's value where each job has its own number, for example that of a dataset."""


class Written(Enum):
    """How the exporter writes a parameter instead of its value."""

    REDACTED = '"null"'
    NULL = "null"
    NONE = "None"


_DATASET = {"id": NUMBER, "src": "hda"}


# The names of the parameters and their values, the most frequent first.
PARAMETERS: dict[str, tuple[object, ...]] = {
    "dbkey": ("?", "hg38", "mm10", "hg19", "dm6", "sacCer3", Written.REDACTED),
    "chromInfo": ("/galaxy/tool-data/shared/ucsc/chrom/?.len", Written.NULL),
    "input": ({"values": [_DATASET]}, {"values": []}),
    "input1": (
        {"values": [_DATASET]},
        {"values": [_DATASET, {"id": 52, "src": "hdca"}]},
        f"[{{'src': 'hda', 'id': {NUMBER}}}]",
    ),
    "queries": (
        [{"__index__": 0, "input2": {"values": [_DATASET]}}],
        [{"__index__": 0, "input2": {"values": [_DATASET]}}, {"__index__": 1, "input2": None}],
        [],
        Written.NULL,
    ),
    "reference_source": (
        {"__current_case__": 0, "reference_source_selector": "cached", "ref_file": "hg38"},
        {"__current_case__": 1, "reference_source_selector": "history", "ref_file": _DATASET, "index_a": None},
        {"__current_case__": 0, "reference_source_selector": "cached", "ref_file": "mm10", "options": {}},
    ),
    "analysis_type|analysis_type_selector": ("illumina", "full", "pacbio", "ont2d"),
    "adv": (
        {"__current_case__": 1, "opt": True, "labels": ["naïve", "大腸菌"]},
        {"__current_case__": 0, "opt": 0.05, "nest": {"deep": [1, [2, {"k": None}]]}},
        {"__current_case__": 2, "opt": False, "steps": [{"__index__": 0, "mean": [{"w": "3"}, {"w": "5"}]}, "none"]},
        Written.REDACTED,
    ),
    "threads": ("4", "8", "1", f"{NUMBER}"),
    "min_quality": (20, 30, 0, NUMBER),
    "evalue": (1e-05, 0.001, 10),
    "header_lines": ("1", "0", f"{NUMBER}"),
    "columnList": ("c1,c2", "c1", ["2", "5", "7"], "c4,c1"),
    "delimiter": ("T", "C", "Sp", Written.NONE),
    "pattern": ("^chr[0-9XYM]+$", r"\bgene\b", "^>", "Müller & Söhne", 'a "quoted" word'),
    "code": (f"$3 > {NUMBER}", 'NR > 1 { print $1 "\\t" $2 }', "s/ /_/g"),
    "title": ("Ωmega|β-globin", "Volcano plot", "résumé", "😀", Written.NULL),
    "files": ([{"url_paste": None, "NAME": f"sample {NUMBER}", "space_to_tab": None}], Written.REDACTED),
    "file_type": ("auto", "fastqsanger.gz", "tabular"),
    "keep_header": (True, False),
    "stranded": ("0", "1", "2", Written.NULL),
    "cutoff": (-1.5, 2, NUMBER),
    "__workflow_invocation_uuid__": (f"{NUMBER}c1e4a8f2b7d0",),
}
