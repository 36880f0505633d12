use super::{Access, Words};

/// What a method does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::scheduler::flow) enum Method {
    /// Changes its object, which may keep the arguments.
    Mutates,
    /// Gives something immutable.
    Scalar,
    /// Gives something that shares nothing with its object.
    Copies,
    /// Gives one of the items of its object.
    Item,
    /// Gives something through which the object can be seen.
    View,
    /// Executes a statement of SQL.
    Statement,
    Unknown,
}

/// Methods that change their object, of Python's own types and of libraries.
static MUTATING: Words = Words::new(
    "\
    __delitem__ __iadd__ __next__ __setattr__ __setitem__ add add_argument add_edge add_edges_from add_node \
    add_nodes_from add_patch add_trace append appendleft assign_coords_inplace backward clear close commit compile \
    connect difference_update discard enqueue executemany executescript extend extendleft fill fit fit_predict \
    fit_transform fullfill insert insert_one intersection_update itemset load_state_dict load_weights move_to_end \
    next partial_fit pop popitem popleft push put readline readlines register remove remove_edge remove_node resize \
    reverse rotate seek send set_axis_off set_index_inplace set_params set_title set_xlabel set_xlim set_ylabel \
    set_ylim setdefault setflags sort step subscribe subtract_update symmetric_difference_update tick_params train \
    update update_layout update_traces write writelines writerow writerows zero_grad",
);

/// Methods that only look, and give something immutable.
static SCALAR: Words = Words::new(
    "\
    __contains__ __len__ all any argmax argmin as_integer_ratio as_posix bit_length capitalize casefold center count \
    date encode endswith equals exists expandtabs find format fromhex hex hexdigest index info is_dir is_file \
    is_integer isalnum isalpha isascii isdecimal isdigit isdisjoint isidentifier isidentity isformat islower \
    isnumeric isspace issubset issuperset istitle isupper item ljust lower lstrip memory_usage mktime nunique \
    partition_point removeprefix removesuffix replace_text rfind rindex rjust rstrip score startswith strftime strip \
    swapcase time timestamp title to_bytes to_html to_latex to_markdown to_string total_seconds upper utcoffset \
    weekday zfill",
);

/// Methods that give something new.
static COPYING: Words = Words::new(
    "\
    abs add_prefix add_suffix agg aggregate align apply applymap argsort asfreq assign astype at_time between bfill \
    boxplot clip combine combine_first compute contains convert_dtypes copy corr corrwith cov crosstab cummax cummin \
    cumprod cumsum cut decision_function deepcopy describe diff difference divide dot drop drop_duplicates dropna \
    duplicated elements eval ewm expand explode factorize fetchall fetchone ffill fillna filter first \
    first_valid_index flatten floordiv fromkeys ge get_dummies get_feature_names_out group_by gt head hist idxmax \
    idxmin infer_objects interpolate intersection inverse_transform isin isna isnull join kurt last le lt mad map \
    mask max mean median melt merge min mod mode most_common mul multiply ne nlargest nonzero normalize notna \
    notnull nsmallest pct_change pipe pivot pivot_table plot pow predict predict_log_proba predict_proba prod \
    product quantile query rank read reindex rename rename_axis reorder_levels repeat replace resample reset_index \
    rolling round rsplit sample searchsorted select select_dtypes sem set_axis set_index shift skew sort_index \
    sort_values sorted split splitlines stack std sub subtract sum summary swaplevel symmetric_difference tail take \
    to_csv to_dict to_frame to_json to_list to_numpy to_pandas to_parquet to_pickle to_timestamp tolist trace \
    transform translate truediv tz_convert tz_localize union unique unstack value_counts var where with_columns xs",
);

/// Methods that give an item.
static ITEM: Words = Words::new(
    "\
    __getitem__ get get_group getvalue",
);

/// Methods that give something through which the object can be seen.
static VIEWING: Words = Words::new(
    "\
    __enter__ __exit__ __iter__ diagonal groupby items iteritems iterrows itertuples keys ravel reshape squeeze \
    swapaxes transpose values view",
);

/// What a method of this name does, whatever its object is.
pub(in crate::scheduler::flow) fn method(name: &str) -> Method {
    if name == "execute" {
        Method::Statement
    } else if MUTATING.contain(name) {
        Method::Mutates
    } else if SCALAR.contain(name) {
        Method::Scalar
    } else if COPYING.contain(name) || name.starts_with("to_") || name.starts_with("is_") {
        Method::Copies
    } else if ITEM.contain(name) {
        Method::Item
    } else if VIEWING.contain(name) {
        Method::View
    } else {
        Method::Unknown
    }
}

/// Attributes that are numbers, texts or types.
pub(in crate::scheduler::flow) fn is_scalar_attribute(name: &str) -> bool {
    matches!(
        name,
        "shape"
            | "size"
            | "ndim"
            | "dtype"
            | "dtypes"
            | "empty"
            | "nbytes"
            | "itemsize"
            | "name"
            | "stem"
            | "suffix"
            | "parent"
            | "year"
            | "month"
            | "day"
            | "hour"
            | "minute"
            | "second"
            | "real"
            | "imag"
            | "__name__"
            | "__class__"
            | "__doc__"
            | "__len__"
    )
}

/// Whether a method whose result is not used is still none that changes its object, by the way it is called.
pub(in crate::scheduler::flow) fn only_looks(name: &str) -> bool {
    const PREFIXES: &[&str] = &["describe_", "evaluate_", "get_", "has_", "predict_", "view_"];
    PREFIXES.iter().any(|prefix| name.starts_with(prefix)) || matches!(name, "savefig" | "show")
}

/// Methods of figures and axes that add to them and give what they have added.
static DRAWING: Words = Words::new(
    "\
    annotate axhline axhspan axline axvline axvspan bar bar_label barbs barh boxplot broken_barh clabel colorbar contour \
    contour3D contourf errorbar eventplot fill fill_between fill_betweenx grid hexbin hist hist2d hlines imshow inset_axes \
    legend loglog map map_dataframe matshow pcolor pcolormesh pie plot plot_surface plot_trisurf plot_wireframe quiver \
    scatter secondary_xaxis secondary_yaxis semilogx semilogy set specgram spy stackplot stairs stem step streamplot \
    subplots subplots_adjust suptitle table text tick_params tight_layout tricontour tricontourf triplot tripcolor twinx \
    twiny violinplot vlines",
);

/// Whether a method adds to the figure or the axes that it is called on.
pub(in crate::scheduler::flow) fn draws(name: &str) -> bool {
    DRAWING.contain(name) || name.starts_with("set_") || name.starts_with("add_")
}

/// What draws a table of data, as a method or as an attribute whose methods do.
pub(in crate::scheduler::flow) fn drawn_by(name: &str) -> Option<&'static str> {
    match name {
        "plot" => Some("matplotlib.plot"),
        "hvplot" => Some("hvplot.plot"),
        _ => None,
    }
}

/// Whether a library's objects are never changed by their methods, which give another object.
pub(in crate::scheduler::flow) fn is_fluent(library: &str) -> bool {
    matches!(library, "altair" | "plotnine" | "seaborn.objects")
}

/// Whether a library's objects are tables, whose methods change them only if they say so.
pub(in crate::scheduler::flow) fn is_table(library: &str) -> bool {
    matches!(library, "dask" | "geopandas" | "pandas" | "polars" | "xarray")
}

/// Whether a library's objects are drawings, which copy the data that they are given.
pub(in crate::scheduler::flow) fn is_drawing(library: &str) -> bool {
    matches!(library, "matplotlib" | "seaborn" | "mpl_toolkits")
}

/// Methods that write their object to the file that their first argument names.
pub(in crate::scheduler::flow) fn file_method(name: &str) -> Option<Access> {
    let writes = matches!(
        name,
        "to_csv"
            | "to_json"
            | "to_excel"
            | "to_parquet"
            | "to_pickle"
            | "to_hdf"
            | "to_feather"
            | "savefig"
            | "save"
            | "write_csv"
            | "write_parquet"
            | "write_html"
            | "write_image"
            | "tofile"
            | "dump"
    );
    writes.then_some(Access::Write)
}

/// Methods that change their object and give it back.
pub(in crate::scheduler::flow) fn returns_itself(name: &str) -> bool {
    matches!(
        name,
        "fit" | "partial_fit" | "set_params" | "update_layout" | "update_traces" | "add_trace" | "train"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_is_in_one_table_only() {
        let tables = [&MUTATING, &SCALAR, &COPYING, &ITEM, &VIEWING];
        for (index, table) in tables.iter().enumerate() {
            for name in table.iter() {
                assert!(tables[index + 1..].iter().all(|other| !other.contain(name)), "{name}");
            }
        }
    }
}
